// all settles after its last entry; values stand in order.
'use strict';
let resolveSlow;
const slow = new Promise(r => { resolveSlow = r; });
Promise.all([Promise.resolve('a'), slow, 'c']).then(t => console.log('all\t' + t.join(' ')));
Promise.all([Promise.resolve(1), Promise.resolve(2)]).then(() => console.log('all of settled'));
Promise.all([1, 2]).then(() => console.log('all of plain values'));
Promise.all([]).then(() => console.log('all of nothing'));
let p = Promise.resolve();
for (let i = 1; i <= 6; i++) p = p.then(() => console.log('turn\t' + i));
process.nextTick(() => resolveSlow('b'));
