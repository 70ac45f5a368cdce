// Awaits of one pending promise go on in the order they began, among its reactions.
'use strict';
let resolve;
const p = new Promise(r => { resolve = r; });
p.then(v => console.log('reaction 1\t' + v));
for (let i = 1; i <= 3; i++)
  queueMicrotask(async () => {
    console.log('task begins\t' + i);
    console.log(['task goes on', i, await p].join('\t'));
  });
p.then(v => console.log('reaction 2\t' + v));
queueMicrotask(() => {
  console.log('resolve');
  resolve('x');
  console.log('resolved');
});
p.then(v => console.log('reaction 3\t' + v));
console.log('script');
