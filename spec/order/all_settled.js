// all_settled: mixed, thenables among them, and nothing.
'use strict';
const thenable = {
  then(resolve) {
    console.log('then');
    resolve('c');
  },
};
Promise.allSettled([Promise.resolve('a'), Promise.reject('b'), thenable, 4]).then(t => {
  t.forEach((r, i) => console.log(
    [i + 1, r.status, r.status === 'fulfilled' ? r.value : r.reason].join('\t')));
});
Promise.allSettled([]).then(() => console.log('settled nothing'));
let p = Promise.resolve();
for (let i = 1; i <= 6; i++) p = p.then(() => console.log('turn\t' + i));
