// Probe is what the bed's own tests run in pods: it waits, looks names up, and talks over the
// network.  Each sub-command prints what it saw and ends with 0, or says what it lacked and ends
// with 1.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Names and packets may come later than the pod; a test's own limit is longer than this.
const patience = 60 * time.Second

func main() {
	if len(os.Args) < 2 {
		fail("usage: probe sleep|lookup|serve|get|dial|hear|say|write|read [ARGUMENT ...]")
	}
	arguments := os.Args[2:]
	commands := map[string]struct {
		count int
		run   func([]string)
	}{
		"sleep":  {0, sleep},
		"lookup": {1, lookup},
		"serve":  {2, serve},
		"get":    {1, get},
		"dial":   {1, dial},
		"hear":   {1, hear},
		"say":    {2, say},
		"write":  {2, write},
		"read":   {1, read},
	}
	command, known := commands[os.Args[1]]
	if !known || len(arguments) < command.count {
		fail("probe: no such command, or arguments are missing")
	}
	command.run(arguments)
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}

// sleep waits until it is told to end.
func sleep([]string) {
	fmt.Println("sleeping")
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	<-ended
}

// until tries again until it works or the patience is at its end.
func until(try func() error) {
	deadline := time.Now().Add(patience)
	for {
		problem := try()
		if problem == nil {
			return
		}
		if time.Now().After(deadline) {
			fail(problem.Error())
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// lookup NAME ... finds the addresses of all names.
func lookup(names []string) {
	for _, name := range names {
		until(func() error {
			addresses, problem := net.LookupHost(name)
			if problem == nil {
				fmt.Println(name, addresses)
			}
			return problem
		})
	}
}

// serve PORT TEXT answers every HTTP request with a text.
func serve(arguments []string) {
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		io.WriteString(answer, arguments[1])
	})
	fail(http.ListenAndServe(":"+arguments[0], nil).Error())
}

// get URL prints what is there.
func get(arguments []string) {
	client := http.Client{Timeout: 5 * time.Second}
	until(func() error {
		answer, problem := client.Get(arguments[0])
		if problem != nil {
			return problem
		}
		defer answer.Body.Close()
		_, problem = io.Copy(os.Stdout, answer.Body)
		return problem
	})
}

// write PATH TEXT writes a file.
func write(arguments []string) {
	if problem := os.WriteFile(arguments[0], []byte(arguments[1]), 0o644); problem != nil {
		fail(problem.Error())
	}
	fmt.Println("written")
}

// read PATH prints a file.
func read(arguments []string) {
	content, problem := os.ReadFile(arguments[0])
	if problem != nil {
		fail(problem.Error())
	}
	os.Stdout.Write(content)
}

// dial HOST:PORT tries once to connect, and says what came of it.
func dial(arguments []string) {
	connection, problem := net.DialTimeout("tcp", arguments[0], 10*time.Second)
	if problem != nil {
		fmt.Println("refused:", problem)
		return
	}
	connection.Close()
	fmt.Println("connected")
}

// hear GROUP:PORT prints the first packet of a multicast group.
func hear(arguments []string) {
	group, problem := net.ResolveUDPAddr("udp4", arguments[0])
	if problem != nil {
		fail(problem.Error())
	}
	socket, problem := net.ListenMulticastUDP("udp4", nil, group)
	if problem != nil {
		fail(problem.Error())
	}
	fmt.Println("listening")
	socket.SetReadDeadline(time.Now().Add(patience))
	packet := make([]byte, 1500)
	size, from, problem := socket.ReadFromUDP(packet)
	if problem != nil {
		fail(problem.Error())
	}
	fmt.Printf("heard %s from %s\n", packet[:size], from.IP)
}

// say GROUP:PORT TEXT sends a packet to a multicast group five times a second, until told to end.
func say(arguments []string) {
	socket, problem := net.Dial("udp4", arguments[0])
	if problem != nil {
		fail(problem.Error())
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	again := time.NewTicker(200 * time.Millisecond)
	for {
		socket.Write([]byte(arguments[1]))
		select {
		case <-ended:
			return
		case <-again.C:
		}
	}
}
