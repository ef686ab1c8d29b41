import { assertEquals } from "@std/assert";
import { MetricRegistry } from "../../src/server/metric_registry.ts";

Deno.test("expose() writes Prometheus' text format", async () => {
  const registry = new MetricRegistry();
  const requests = registry.counter("requests_total", "Requests");
  requests.add({ path: 'a"b\\c\nd' });
  requests.add({ path: "x" }, 2);
  requests.add({ path: "x" });
  let depth = 3;
  registry.gauge("depth", "Depth", () => depth);
  const seconds = registry.histogram("seconds", "Seconds", [1, 2]);
  for (const value of [0.5, 1, 1.5, 9]) seconds.observe(value);
  depth = 4;
  assertEquals(
    await registry.expose(),
    `# HELP requests_total Requests
# TYPE requests_total counter
requests_total{path="a\\"b\\\\c\\nd"} 1
requests_total{path="x"} 3
# HELP depth Depth
# TYPE depth gauge
depth 4
# HELP seconds Seconds
# TYPE seconds histogram
seconds_bucket{le="1"} 2
seconds_bucket{le="2"} 3
seconds_bucket{le="+Inf"} 4
seconds_sum 12
seconds_count 4
`,
  );
});
