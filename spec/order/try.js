// promise.try calls at once and takes what comes, raised or returned.
'use strict';
const attempt = (f, ...args) => new Promise(resolve => resolve(f(...args)));
attempt(a => {
  console.log('called');
  return a;
}, 'value').then(console.log);
attempt(() => { throw 'raised'; }).catch(console.log);
attempt(() => Promise.resolve('promise')).then(console.log);
let p = Promise.resolve();
for (let i = 1; i <= 4; i++) p = p.then(() => console.log('turn\t' + i));
console.log('script');
