module vis-receive.invalid/bed/probe

go 1.26.0
