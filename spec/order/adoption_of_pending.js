// Adopting a promise that settles later, by value and by reason.
'use strict';
let resolveInner, resolveOuter, rejectFailing;
const inner = new Promise(r => { resolveInner = r; });
const outer = new Promise(r => { resolveOuter = r; });
resolveOuter(inner);
resolveOuter('ignored');
outer.then(v => console.log('outer\t' + v));
inner.then(v => console.log('inner\t' + v));
const failing = new Promise((_, r) => { rejectFailing = r; });
new Promise(resolve => resolve(failing)).catch(e => console.log('adopter\t' + e));
failing.catch(e => console.log('failing\t' + e));
queueMicrotask(() => {
  console.log('microtask');
  queueMicrotask(() => {
    console.log('settle');
    rejectFailing('no');
    resolveInner('yes');
  });
});
