// An immediate that an earlier one of the same turn has cleared does not run.
'use strict';
let b, c;
setImmediate(() => {
  console.log('a clears b');
  clearImmediate(b);
  queueMicrotask(() => {
    console.log('microtask clears c');
    clearImmediate(c);
  });
});
b = setImmediate(console.log, 'b must not run');
c = setImmediate(console.log, 'c must not run');
setImmediate(console.log, 'd');
clearImmediate(setImmediate(console.log, 'e must not run'));
