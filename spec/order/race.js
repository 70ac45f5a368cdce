// race: whichever settles first; of nothing it never settles.
'use strict';
const later = (turns, v, fails) => new Promise((resolve, reject) => {
  const wait = n => {
    if (n > 0) queueMicrotask(() => wait(n - 1));
    else if (fails) reject(v);
    else resolve(v);
  };
  wait(turns);
});
Promise.race([later(3, 'slow'), later(1, 'quick'), later(2, 'late', true)])
  .then(v => console.log('race\t' + v));
Promise.race([later(3, 'slow'), later(2, 'failure', true)])
  .then(console.log, e => console.log('race lost\t' + e));
Promise.race(['value', Promise.resolve('promise')]).then(v => console.log('race\t' + v));
Promise.race([]).then(console.log, console.log);
let p = Promise.resolve();
for (let i = 1; i <= 7; i++) p = p.then(() => console.log('turn\t' + i));
