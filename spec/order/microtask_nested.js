// Microtasks of microtasks run before any tick that they queue.
'use strict';
function dig(name, depth) {
  console.log(name + '\t' + depth);
  if (depth < 4) {
    process.nextTick(() => console.log('tick of ' + name + '\t' + depth));
    queueMicrotask(() => dig(name, depth + 1));
  }
}
queueMicrotask(() => dig('a', 1));
queueMicrotask(() => dig('b', 1));
