// A server that keeps idle connections; GET /gc collects garbage (run with --expose-gc).
const http = require("node:http");

const server = http.createServer((req, res) => {
  if (req.url === "/gc") {
    global.gc();
    global.gc();
  }
  res.end("hello");
});
server.keepAliveTimeout = 120000;
server.listen(0, "127.0.0.1", () => console.log("listening", server.address().port));
