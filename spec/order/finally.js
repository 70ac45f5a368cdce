// finally: no arguments, the value passes, its turns.
'use strict';
function count(n) {
  let p = Promise.resolve();
  for (let i = 1; i <= n; i++) p = p.then(() => console.log('turn\t' + i));
}
Promise.resolve('value').finally((...a) => {
  console.log('finally\t' + a.length);
  return 'ignored';
}).then(console.log);
Promise.reject('reason').finally((...a) => {
  console.log('finally of rejected\t' + a.length);
}).catch(console.log);
Promise.resolve('replaced').finally(() => { throw 'raised in finally'; }).catch(console.log);
Promise.reject('replaced').finally(() => Promise.reject('rejected in finally')).catch(console.log);
Promise.resolve('waited').finally(() => Promise.resolve('for this')).then(console.log);
count(12);
