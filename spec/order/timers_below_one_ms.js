// Less than a millisecond counts as one.
'use strict';
setTimeout(console.log, 1, '1 ms');
setTimeout(console.log, 0, '0 ms');
setTimeout(console.log, 0.4, '0.4 ms');
setTimeout(console.log, 1, '1 ms again');
