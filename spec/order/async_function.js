// JS calls an async function's body at once; a Halo task begins as a microtask.
'use strict';
async function f(name) {
  console.log('begin\t' + name);
  await Promise.resolve();
  console.log('end\t' + name);
}
Promise.resolve().then(() => console.log('then'));
queueMicrotask(() => f('a'));
queueMicrotask(() => console.log('microtask'));
queueMicrotask(() => f('b'));
process.nextTick(console.log, 'tick');
console.log('script');
