// Ticks of ticks run before any microtask, however deep.
'use strict';
queueMicrotask(() => console.log('microtask'));
function dig(depth) {
  console.log('tick\t' + depth);
  if (depth < 5) process.nextTick(dig, depth + 1);
}
process.nextTick(dig, 1);
process.nextTick(console.log, 'another');
