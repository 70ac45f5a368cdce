// A thenable that hands over a promise.
'use strict';
const thenable = value => ({
  then(resolve) {
    console.log('then');
    resolve(value);
  },
});
Promise.resolve(thenable(Promise.resolve('of a promise'))).then(console.log);
Promise.resolve(thenable(Promise.reject('of a rejected one'))).catch(console.log);
Promise.resolve(thenable('of a value')).then(console.log);
let p = Promise.resolve();
for (let i = 1; i <= 7; i++) p = p.then(() => console.log('turn\t' + i));
