// Raised errors go down the chain to the first handler, a link a turn.
'use strict';
Promise.resolve().then(() => {
  console.log('raises');
  throw 'e1';
}).then(console.log).finally(() => console.log('finally')).catch(e => {
  console.log('caught\t' + e);
  throw 'e2';
}).then(console.log, e => {
  console.log('caught\t' + e);
  return 'fine';
}).then(console.log);
let p = Promise.resolve();
for (let i = 1; i <= 8; i++) p = p.then(() => console.log('turn\t' + i));
