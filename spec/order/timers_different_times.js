// The earlier fires first, in whatever order they were set.
'use strict';
setTimeout(console.log, 60, '60 ms');
setTimeout(console.log, 20, '20 ms');
setTimeout(console.log, 40, '40 ms');
setTimeout(console.log, 0, '0 ms');
setTimeout(console.log, 20, '20 ms again');
console.log('script');
