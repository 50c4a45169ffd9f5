"""The HTTP edge: what hospital integration engines post to; the only place that knows HTTP, and the only async one."""
