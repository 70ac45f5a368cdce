// A reaction without the function wanted passes the value on, in a turn.
'use strict';
Promise.resolve('value').catch(console.log).then(null, console.log).then(console.log);
Promise.reject('reason').then(console.log).then(console.log).catch(console.log);
Promise.resolve().then(() => console.log('1')).then(() => console.log('2'))
  .then(() => console.log('3')).then(() => console.log('4'));
