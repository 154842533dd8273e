// load: drives a STOMP 1.2 broker for some seconds, waits until everything has arrived, and prints one line of JSON.
//
//   load --port 61613 --destination /queue/a --seconds 2 --size 128 --producers 1 --consumers 1
//        --ack auto                        or client-individual: every MESSAGE is acknowledged
//        --persistent true                 every SEND says so
//        --window 1000                     every SEND asks for a receipt; so many may be outstanding, for each producer
//        --in-flight 1000                  so many may be on their way to a consumer; 0: no bound
//        --rate 1000                       messages a second instead of as many as the socket takes
//        --messages 1000                   so many instead of what `seconds` allow; 0: no bound
//        --login guest --passcode guest --host /
//
// One thread and epoll, a connection for each producer and each consumer. Sending begins when every consumer has its
// RECEIPT for SUBSCRIBE. The rate counts deliveries, from the first SEND to the last MESSAGE or RECEIPT. The body begins
// with the time it was sent. Lines are taken to end with LF, as those of every broker we know do.
//
//   --consumers 0   fills: the rate counts what was sent, to the last RECEIPT; it needs a window
//   --producers 0   drains: `messages` of those that are there, from the SUBSCRIBE to the RECEIPT for the last ACK
//
// With a rate, latencies are p50, p90, p99 from SEND to MESSAGE, and confirm50, … from SEND to RECEIPT; microseconds.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

using Text = std::string_view;

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kWriteBytes = 64 * 1024;  // frames are made ahead up to here
constexpr double kPatience = 30;           // seconds without a message or receipt that should come

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

[[noreturn]] void fail_system(const char* call) {
  fail(std::string(call) + ": " + std::generic_category().message(errno));
}

int checked(int result, const char* call) {
  if (result < 0) fail_system(call);
  return result;
}

int64_t nanoseconds() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

// ------------------------------------------------------------------------------------------------------------- options

struct Options {
  std::map<std::string, std::string> given = {
      {"port", ""},  {"destination", ""}, {"seconds", "2"}, {"size", "128"}, {"consumers", "1"}, {"ack", "auto"},
      {"window", "0"}, {"in-flight", "0"}, {"rate", "0"},   {"login", ""},    {"passcode", ""}, {"host", "/"},
      {"producers", "1"}, {"messages", "0"}, {"persistent", "false"},
  };

  Options(int count, char** words) {
    for (int k = 1; k < count; k += 2) {
      const auto found = std::strncmp(words[k], "--", 2) == 0 ? given.find(words[k] + 2) : given.end();
      if (found == given.end()) fail(std::string("there is no option ") + words[k]);
      if (k + 1 == count) fail(std::string(words[k]) + " needs a value");
      found->second = words[k + 1];
    }
    if (text("port").empty() || text("destination").empty()) fail("--port and --destination are needed");
  }

  const std::string& text(const char* name) const { return given.at(name); }
  double number(const char* name) const { return std::atof(text(name).c_str()); }
};

// -------------------------------------------------------------------------------------------------------------- frames

struct Frame {
  Text command, headers, body;

  Text header(Text name) const {
    for (Text rest = headers; !rest.empty();) {
      const Text line = rest.substr(0, rest.find('\n'));
      if (line.size() > name.size() && line[name.size()] == ':' && line.substr(0, name.size()) == name)
        return line.substr(name.size() + 1);
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    }
    return {};
  }
};

/// Takes one frame off the front of `bytes`; false when more must come first.
bool take_frame(Text& bytes, Frame& frame) {
  while (!bytes.empty() && bytes.front() == '\n') bytes.remove_prefix(1);
  const size_t blank = bytes.find("\n\n");
  if (blank == Text::npos) return false;
  const Text head = bytes.substr(0, blank + 1);
  const size_t line = head.find('\n');
  frame = {head.substr(0, line), head.substr(line + 1), {}};

  const Text rest = bytes.substr(blank + 2);
  const Text announced = frame.header("content-length");
  const size_t length = announced.empty() ? rest.find('\0') : std::strtoul(announced.data(), nullptr, 10);
  if (length == Text::npos || rest.size() <= length) return false;
  frame.body = rest.substr(0, length);
  bytes = rest.substr(length + 1);
  return true;
}

// --------------------------------------------------------------------------------------------------------- connections

/// A socket with what waits to be written to it and what came and makes no frame yet.
class Connection {
 public:
  const bool consumes;
  bool ready = false;
  int64_t unconfirmed = 0;  // SENDs whose receipt has not come

  Connection(int epoll, int port, bool consumes_) : consumes(consumes_), epoll_(epoll) {
    socket_ = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    checked(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), "connect");
    const int on = 1;
    checked(setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
    checked(fcntl(socket_, F_SETFL, O_NONBLOCK), "fcntl");
    watch(EPOLL_CTL_ADD, false);
  }

  std::string& out() { return out_; }
  size_t pending() const { return out_.size() - written_; }

  /// Writes what the socket takes; `more` asks to be called again when it takes more, even if nothing is left.
  void flush(bool more) {
    while (pending() > 0) {
      const ssize_t count = send(socket_, out_.data() + written_, pending(), MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN) fail_system("send");
      if (count < 0) break;
      written_ += static_cast<size_t>(count);
    }
    if (pending() == 0) {
      out_.clear();
      written_ = 0;
    }
    const bool wants = more || pending() > 0;
    if (wants != watched_) watch(EPOLL_CTL_MOD, wants);
  }

  /// Reads once, and calls `take` with every whole frame there is.
  template <typename Take>
  void read(Take take) {
    static std::vector<char> in;  // of all connections, which only keep what makes no frame yet
    if (in.size() < rest_.size() + kReadBytes) in.resize(rest_.size() + kReadBytes);
    const ssize_t count = recv(socket_, in.data() + rest_.size(), kReadBytes, 0);
    if (count == 0) fail("the broker closed a connection");
    if (count < 0 && errno != EAGAIN) fail_system("recv");
    if (count < 0) return;
    std::copy(rest_.begin(), rest_.end(), in.begin());
    Text bytes(in.data(), rest_.size() + static_cast<size_t>(count));
    for (Frame frame; take_frame(bytes, frame);) take(frame);
    rest_.assign(bytes);
  }

 private:
  void watch(int operation, bool writable) {
    epoll_event event{};
    event.events = EPOLLIN | (writable ? EPOLLOUT : 0u);
    event.data.ptr = this;
    checked(epoll_ctl(epoll_, operation, socket_, &event), "epoll_ctl");
    watched_ = writable;
  }

  const int epoll_;
  int socket_;
  bool watched_ = false;
  std::string out_;
  size_t written_ = 0;
  std::string rest_;
};

// ---------------------------------------------------------------------------------------------------------------- load

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        acknowledges_(options.text("ack") != "auto"),
        window_(static_cast<int64_t>(options.number("window"))),
        in_flight_(static_cast<int64_t>(options.number("in-flight"))),
        rate_(options.number("rate")),
        messages_(static_cast<int64_t>(options.number("messages"))),
        producers_(static_cast<size_t>(options.number("producers"))),
        consumers_(static_cast<size_t>(options.number("consumers"))),
        copies_(copies(options)),
        epoll_(checked(epoll_create1(0), "epoll_create1")),
        timer_(checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), "timerfd_create")) {
    const size_t size = std::max(sizeof(int64_t), static_cast<size_t>(options.number("size")));
    head_ = "SEND\ndestination:" + options.text("destination") + "\ncontent-length:" + std::to_string(size) + "\n";
    if (options.text("persistent") == "true") head_ += "persistent:true\n";
    body_.assign(size, 'x');
    body_.push_back('\0');

    epoll_event event{};
    event.events = EPOLLIN;
    checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event), "epoll_ctl");
    if (drains() && messages_ == 0) fail("--producers 0 needs --messages");
    if (consumers_ == 0 && window_ == 0) fail("--consumers 0 needs --window");
    for (size_t k = 0; k < producers_ + consumers_; k++) {
      const int port = static_cast<int>(options.number("port"));
      connections_.push_back(std::make_unique<Connection>(epoll_, port, k >= producers_));
      say(*connections_.back(), "CONNECT", {{"accept-version", "1.2"}, {"host", options.text("host")},
          {"heart-beat", "0,0"}, {"login", options.text("login")}, {"passcode", options.text("passcode")}});
      connections_.back()->flush(false);
    }
  }

  void run() {
    const int64_t length = static_cast<int64_t>(options_.number("seconds") * 1e9);
    const int64_t patience = static_cast<int64_t>(kPatience * 1e9);
    const int64_t birth = nanoseconds();
    epoll_event events[64];
    while (!finished()) {
      const int count = epoll_wait(epoll_, events, 64, 100);
      if (count < 0 && errno != EINTR) fail_system("epoll_wait");
      for (int k = 0; k < count; k++) handle(events[k]);
      const int64_t now = nanoseconds();
      if (begun_ == 0 && all_ready()) begin(now);
      if (sending() && (messages_ > 0 ? made_all() : now - begun_ >= length)) ended_ = now;
      const int64_t waiting = ended_ ? ended_ : begun_ == 0 ? birth : messages_ > 0 ? begun_ : now;
      if (now - std::max(waiting, last_) > patience) give_up();
    }
  }

  void print() {
    const double seconds = static_cast<double>(last_ - begun_) / 1e9;
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const double cpu = seconds_of(used.ru_utime) + seconds_of(used.ru_stime) - cpu_before_;
    const long long done = consumers_ == 0 ? sent_ : received_;
    std::printf("{\"sent\":%lld,\"received\":%lld,\"seconds\":%.3f,\"perSecond\":%.1f,\"busy\":%.2f", sent_, received_,
                seconds, static_cast<double>(done) / seconds, cpu / seconds);
    print_percentiles("p", latencies_);
    print_percentiles("confirm", confirmations_);
    std::printf("}\n");
  }

 private:
  using Headers = std::vector<std::pair<Text, Text>>;

  static int64_t copies(const Options& options) {
    const bool shared = options.number("consumers") == 0 || options.text("destination").rfind("/topic/", 0) != 0;
    return shared ? 1 : static_cast<int64_t>(options.number("consumers"));
  }

  static void print_percentiles(const char* name, std::vector<int64_t>& all) {
    std::sort(all.begin(), all.end());
    if (all.empty()) return;
    for (const int percent : {50, 90, 99})
      std::printf(",\"%s%d\":%.1f", name, percent,
                  static_cast<double>(all[all.size() * static_cast<size_t>(percent) / 100]) / 1e3);
  }

  static double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  }

  static void say(Connection& connection, Text command, const Headers& headers) {
    std::string& out = connection.out();
    out.append(command).push_back('\n');
    for (const auto& [name, value] : headers)
      if (!value.empty()) out.append(name).append(":").append(value).push_back('\n');
    out.append("\n\0", 2);
  }

  bool drains() const { return producers_ == 0; }
  bool made_all() const { return drains() || sent_ >= messages_; }
  bool sending() const { return begun_ != 0 && ended_ == 0; }
  bool may_send(const Connection& producer) const {
    return sending() && (messages_ == 0 || sent_ < messages_) && (window_ == 0 || producer.unconfirmed < window_) &&
           (in_flight_ == 0 || sent_ - received_ / copies_ < in_flight_);
  }

  bool all_ready() const {
    return std::all_of(connections_.begin(), connections_.end(), [](const auto& each) { return each->ready; });
  }

  bool finished() const {
    if (drains()) return received_ == messages_ && (!acknowledges_ || receipts_ == 1);
    return ended_ != 0 && (consumers_ == 0 || received_ == sent_ * copies_) && (window_ == 0 || receipts_ == sent_);
  }

  void begin(int64_t now) {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    cpu_before_ = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
    begun_ = drains() ? asked_ : now;
    if (rate_ == 0) return send_ahead_all();
    itimerspec ticks{};
    ticks.it_interval.tv_nsec = ticks.it_value.tv_nsec = static_cast<long>(1e9 / std::max(rate_, 2.0));
    checked(timerfd_settime(timer_, 0, &ticks, nullptr), "timerfd_settime");
  }

  void handle(const epoll_event& event) {
    if (event.data.ptr == nullptr) return tick();
    Connection& connection = *static_cast<Connection*>(event.data.ptr);
    if (event.events & ~static_cast<uint32_t>(EPOLLOUT))
      connection.read([&](const Frame& frame) { take(connection, frame); });
    if (connection.consumes) connection.flush(false);
    if (rate_ > 0) return;
    if (connection.consumes) send_ahead_all();
    else send_ahead(connection);
  }

  void send_ahead_all() {
    for (size_t k = 0; k < producers_; k++) send_ahead(*connections_[k]);
  }

  void send_ahead(Connection& producer) {
    while (may_send(producer) && producer.pending() < kWriteBytes) send_one(producer);
    producer.flush(may_send(producer));
  }

  void tick() {
    uint64_t due = 0;
    if (::read(timer_, &due, sizeof due) < 0) return;
    for (; due > 0; due--) {
      Connection& producer = *connections_[next_++ % producers_];
      if (may_send(producer)) send_one(producer);
      producer.flush(false);
    }
  }

  void send_one(Connection& producer) {
    std::string& out = producer.out();
    out.append(head_);
    if (window_ > 0) out.append("receipt:").append(std::to_string(sent_)).push_back('\n');
    out.push_back('\n');
    const int64_t now = rate_ > 0 ? nanoseconds() : 0;
    std::memcpy(body_.data(), &now, sizeof now);
    out.append(body_);
    if (rate_ > 0) times_.push_back(now);
    if (window_ > 0) producer.unconfirmed++;
    sent_++;
  }

  void take(Connection& connection, const Frame& frame) {
    if (frame.command == "MESSAGE") return take_message(connection, frame);
    if (frame.command == "CONNECTED" && connection.consumes) {
      if (asked_ == 0) asked_ = nanoseconds();
      say(connection, "SUBSCRIBE", {{"id", "0"}, {"destination", options_.text("destination")},
          {"ack", options_.text("ack")}, {"prefetch-count", "1000"}, {"activemq.prefetchSize", "1000"},
          {"receipt", "subscribed"}});
    } else if (frame.command == "CONNECTED" || frame.header("receipt-id") == "subscribed") {
      connection.ready = true;
    } else if (frame.command == "RECEIPT") {
      receipts_++;
      connection.unconfirmed--;
      last_ = nanoseconds();
      if (rate_ > 0) confirmations_.push_back(last_ - times_[std::strtoul(frame.header("receipt-id").data(), nullptr, 10)]);
    } else {
      fail("the broker said " + std::string(frame.command) + ": " + std::string(frame.header("message")));
    }
  }

  void take_message(Connection& connection, const Frame& frame) {
    if (drains() && received_ == messages_) return;  // there were more
    received_++;
    last_ = nanoseconds();
    if (frame.body.size() + 1 != body_.size()) fail("a body arrived with " + std::to_string(frame.body.size()) + " bytes");
    if (rate_ > 0) {
      int64_t then = 0;
      std::memcpy(&then, frame.body.data(), sizeof then);
      latencies_.push_back(last_ - then);
    }
    const bool last = drains() && received_ == messages_;
    if (acknowledges_) say(connection, "ACK", {{"id", frame.header("ack")}, {"receipt", last ? "last" : ""}});
  }

  [[noreturn]] void give_up() const {
    if (begun_ == 0) fail("the broker did not accept the connections in time");
    fail("of " + std::to_string(drains() ? messages_ : sent_ * copies_) + " messages " + std::to_string(received_) +
         " arrived, and " + std::to_string(receipts_) + " receipts");
  }

  const Options& options_;
  const bool acknowledges_;
  const int64_t window_;
  const int64_t in_flight_;
  const double rate_;
  const int64_t messages_;
  const size_t producers_, consumers_;
  const int64_t copies_;
  const int epoll_;
  const int timer_;
  std::string head_, body_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<int64_t> latencies_, confirmations_, times_;
  size_t next_ = 0;
  long long sent_ = 0, received_ = 0, receipts_ = 0;
  int64_t asked_ = 0, begun_ = 0, ended_ = 0, last_ = 0;
  double cpu_before_ = 0;
};

int main(int count, char** words) {
  const Options options(count, words);
  Load load(options);
  load.run();
  load.print();
}
