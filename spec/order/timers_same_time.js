// Timers of the same time fire in the order they were set.
'use strict';
for (let i = 1; i <= 5; i++) setTimeout(() => console.log('timer\t' + i), 5);
console.log('script');
