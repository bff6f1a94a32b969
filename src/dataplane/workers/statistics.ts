// The statistics of several workers as those of one data plane.

type Stats = Readonly<Record<string, number>>;

/** What every worker sees for itself: the sum would count one host as many. */
const ofEach =
  /(?:\.membership_\w+|health_check\.(?:healthy|degraded)|\.ejections_active|^server\.(?:live|uptime)|\.total_listeners_active)$/;

/** What goes down as well as up, and ends with the worker. */
const ofTheLiving = /(?:_active|^server\.total_connections)$/;

export function sumOf(all: readonly Stats[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const stats of all) {
    for (const [name, value] of Object.entries(stats)) {
      const known = sum[name];
      if (known === undefined) sum[name] = value;
      else sum[name] = ofEach.test(name) ? Math.max(known, value) : known + value;
    }
  }
  return sum;
}

/** Of a worker that has ended: what has been counted stays counted, or its end would look like a restart of all. */
export function countersOf(stats: Stats): Record<string, number> {
  return Object.fromEntries(Object.entries(stats).filter(([name]) => !ofEach.test(name) && !ofTheLiving.test(name)));
}
