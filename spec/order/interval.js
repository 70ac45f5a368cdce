// An interval until it is cleared, from inside and from a microtask.
'use strict';
let n = 0, m = 0;
let b;
const a = setInterval(arg => {
  n++;
  console.log(['interval', n, arg].join('\t'));
  const k = n;
  queueMicrotask(() => console.log('microtask\t' + k));
  if (n === 3) {
    clearInterval(a);
    console.log('cleared');
    b = setInterval(() => {
      m++;
      console.log('interval b\t' + m);
      queueMicrotask(() => {
        if (m === 2) {
          console.log('cleared by microtask');
          clearInterval(b);
        }
      });
    }, 3);
  }
}, 4, 'x');
