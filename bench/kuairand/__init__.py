"""KuaiRand-Pure, as the platform's own jobs make examples of it: real users, new and old."""
