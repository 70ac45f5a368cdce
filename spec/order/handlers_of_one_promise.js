// All reactions of a promise run in the order they were added.
'use strict';
let resolve;
const p = new Promise(r => { resolve = r; });
for (let i = 1; i <= 3; i++)
  p.then(v => {
    console.log(['before', i, v].join('\t'));
    p.then(() => console.log('late\t' + i));
  });
resolve('x');
p.then(v => console.log('after\t' + v));
console.log('script');
