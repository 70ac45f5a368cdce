// A rejection caught later in the same drain, from tick, microtask and task.
'use strict';
const a = Promise.reject('a');
const b = Promise.reject('b');
const c = Promise.reject('c');
process.nextTick(() => {
  console.log('tick');
  a.catch(console.log);
});
queueMicrotask(() => {
  console.log('microtask');
  b.catch(console.log);
});
queueMicrotask(async () => {
  try {
    await c;
  } catch (e) {
    console.log('false\t' + e);
  }
});
console.log('script');
