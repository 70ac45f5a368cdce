// Listeners are called at once by emit; what they queue waits for its turn.
'use strict';
const { EventEmitter } = require('events');
const e = new EventEmitter();
e.on('x', v => {
  console.log('listener 1\t' + v);
  queueMicrotask(() => console.log('microtask of listener 1'));
});
e.once('x', v => {
  console.log('listener 2, once\t' + v);
  process.nextTick(console.log, 'tick of listener 2');
});
console.log(e.emit('x', 1));
console.log('emitted');
console.log(e.emit('x', 2));
console.log(e.emit('y'));
