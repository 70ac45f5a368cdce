// Tasks started by tasks, next to ticks and microtasks.
'use strict';
function f(name, depth) {
  console.log('begin\t' + name);
  if (depth > 0) {
    queueMicrotask(() => f(name + '1', depth - 1));
    process.nextTick(() => console.log('tick\t' + name));
    queueMicrotask(() => f(name + '2', depth - 1));
  }
  console.log('end\t' + name);
}
queueMicrotask(() => f('a', 2));
queueMicrotask(() => f('b', 1));
