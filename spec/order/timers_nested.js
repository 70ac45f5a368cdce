// A timer set by a timer comes after those already due.
'use strict';
setTimeout(() => {
  console.log('a');
  setTimeout(console.log, 10, "a's");
}, 10);
setTimeout(() => {
  console.log('b');
  setTimeout(console.log, 10, "b's");
}, 10);
let n = 0;
function again() {
  console.log('chain\t' + ++n);
  if (n < 4) setTimeout(again, 40);
}
setTimeout(again, 60);
