// Tasks that await each other, the last started first.
'use strict';
const spawn = f => new Promise((ret, fail) => queueMicrotask(() => f(ret, fail)));
const tasks = [];
for (let i = 4; i >= 1; i--) {
  tasks[i] = spawn(async ret => {
    console.log('begin\t' + i);
    const v = i > 1 ? await tasks[i - 1] : 0;
    console.log(['end', i, v].join('\t'));
    ret(v + i);
  });
}
tasks[4].then(v => console.log('sum\t' + v));
console.log('script');
