// A refreshed timer's time begins anew, also after it has fired.
'use strict';
let fired = 0;
const a = setTimeout(() => console.log('refreshed timer'), 40);
setTimeout(() => {
  console.log('refresh');
  a.refresh();
}, 30);
setTimeout(console.log, 50, 'between');
const b = setTimeout(() => {
  console.log('fired\t' + ++fired);
  if (fired < 3) b.refresh();
}, 100);
