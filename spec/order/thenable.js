// A thenable's __then is called in a turn of its own.
'use strict';
const thenable = (name, settle) => ({
  then(resolve, reject) {
    console.log('then of ' + name);
    settle(resolve, reject);
  },
});
function count(n) {
  let p = Promise.resolve();
  for (let i = 1; i <= n; i++) p = p.then(() => console.log('turn\t' + i));
}
Promise.resolve(thenable('a', resolve => {
  resolve('a');
  resolve('again');
  throw new Error('late');
})).then(console.log);
new Promise(resolve => resolve(thenable('b', (_, reject) => {
  reject('b');
  reject('again');
}))).catch(console.log);
Promise.resolve().then(() => thenable('c', resolve => {
  resolve(thenable('d', inner => queueMicrotask(() => inner('d'))));
})).then(console.log);
Promise.resolve(thenable('e', () => { throw 'e'; })).catch(console.log);
count(9);
console.log('script');
