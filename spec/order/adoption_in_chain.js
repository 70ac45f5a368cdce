// A reaction that returns a promise: fulfilled, rejected and nested.
'use strict';
function count(n) {
  let p = Promise.resolve();
  for (let i = 1; i <= n; i++) p = p.then(() => console.log('turn\t' + i));
}
Promise.resolve().then(() => Promise.resolve('inner')).then(console.log);
Promise.resolve().then(() => Promise.reject('inner rejected')).catch(console.log);
Promise.resolve().then(() => new Promise(resolve => resolve(Promise.resolve('twice nested'))))
  .then(console.log);
count(9);
