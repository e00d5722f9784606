module vis-receive.invalid/bed/pause

go 1.26.0
