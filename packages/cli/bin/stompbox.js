#!/usr/bin/env node
// There before anything is built, so that npm links it in a fresh clone.
import '../dist/main.js';
