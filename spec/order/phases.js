// Everything at once: script, ticks, microtasks, immediate, timers far apart.
'use strict';
setTimeout(() => {
  console.log('timer 1');
  Promise.resolve().then(() => {
    console.log('reaction in timer 1');
    process.nextTick(console.log, 'tick in reaction in timer 1');
  });
  process.nextTick(console.log, 'tick in timer 1');
}, 30);
setTimeout(() => {
  console.log('timer 2');
  setImmediate(console.log, 'immediate of timer 2');
  process.nextTick(console.log, 'tick of timer 2');
}, 60);
setImmediate(() => {
  console.log('immediate');
  queueMicrotask(() => console.log('microtask of immediate'));
  process.nextTick(console.log, 'tick of immediate');
});
Promise.resolve().then(() => {
  console.log('reaction 1');
  process.nextTick(console.log, 'tick of reaction 1');
}).then(() => console.log('reaction 2'));
process.nextTick(() => {
  console.log('tick');
  Promise.resolve().then(() => console.log('reaction of tick'));
});
queueMicrotask(async () => {
  console.log('task');
  await new Promise(r => setTimeout(r, 90));
  console.log('task slept');
});
console.log('script');
