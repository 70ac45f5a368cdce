// A cleared timer does not fire, whoever clears it and however late.
'use strict';
const a = setTimeout(console.log, 10, 'a must not fire');
clearTimeout(a);
clearTimeout(a);
const b = setTimeout(console.log, 10, 'b must not fire');
queueMicrotask(() => clearTimeout(b));
let d;
setTimeout(() => {
  console.log('c clears d');
  clearTimeout(d);
}, 10);
d = setTimeout(console.log, 10, 'd must not fire');
let f;
setTimeout(() => {
  console.log('e');
  queueMicrotask(() => {
    console.log('microtask of e clears f');
    clearTimeout(f);
  });
}, 10);
f = setTimeout(console.log, 10, 'f must not fire');
setTimeout(console.log, 10, 'g');
