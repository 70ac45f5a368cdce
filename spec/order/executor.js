// The executor runs at once; what it raises after resolving is ignored.
'use strict';
new Promise(resolve => {
  console.log('executor');
  resolve('first');
  resolve('second');
  throw new Error('too late');
}).then(console.log);
new Promise((_, reject) => {
  reject('rejected');
  console.log('after reject');
}).catch(console.log);
new Promise(() => { throw 'raised'; }).catch(console.log);
console.log('script');
