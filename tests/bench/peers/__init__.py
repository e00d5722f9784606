"""What vis-receive is compared with; each module is a program of its own."""
