// An unref'd timer keeps nothing up; ref'd again it does.
'use strict';
const a = setTimeout(console.log, 3600000, 'must not fire').unref();
const b = setTimeout(console.log, 40, "ref'd again").unref();
console.log(a.hasRef() + '\t' + b.hasRef());
b.ref();
console.log(a.hasRef() + '\t' + b.hasRef());
setTimeout(console.log, 10, "unref'd, but due in time").unref();
setInterval(console.log, 3600000, 'must not fire').unref();
