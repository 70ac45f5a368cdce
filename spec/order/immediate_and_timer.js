// A timer set in an immediate comes after the immediates of the next turn.
'use strict';
setImmediate(() => {
  console.log('immediate');
  setTimeout(console.log, 30, 'timer');
  setImmediate(() => {
    console.log('immediate of immediate');
    process.nextTick(setImmediate, console.log, 'immediate of tick');
  });
});
