// any: the first value, or all reasons together.
'use strict';
let resolveSlow;
const slow = new Promise(r => { resolveSlow = r; });
Promise.any([Promise.reject('no'), slow, Promise.resolve('yes')])
  .then(v => console.log('any\t' + v));
Promise.any([Promise.reject('a'), Promise.reject('b')])
  .catch(e => console.log('none\t' + e.errors.join(' ')));
Promise.any([]).catch(e => console.log('of nothing\t' + e.errors.length));
resolveSlow('too slow');
let p = Promise.resolve();
for (let i = 1; i <= 5; i++) p = p.then(() => console.log('turn\t' + i));
