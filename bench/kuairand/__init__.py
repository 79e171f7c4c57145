"""KuaiRand-Pure, as the jobs make examples of it: real users, new and old."""
