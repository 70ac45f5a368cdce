// Resolving with a promise takes two turns more than with a value.
'use strict';
function count(n) {
  let p = Promise.resolve();
  for (let i = 1; i <= n; i++) p = p.then(() => console.log('turn\t' + i));
}
new Promise(resolve => resolve(Promise.resolve('promise'))).then(console.log);
new Promise(resolve => resolve('value')).then(console.log);
count(5);
