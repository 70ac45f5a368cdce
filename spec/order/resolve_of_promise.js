// promise.resolve gives a promise back; nothing is adopted.
'use strict';
const p = Promise.resolve('same');
console.log(Promise.resolve(p) === p);
Promise.resolve(Promise.resolve(p)).then(console.log);
Promise.resolve().then(() => console.log('1')).then(() => console.log('2'));
