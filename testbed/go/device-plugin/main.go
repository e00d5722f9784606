// Device-plugin offers a kubelet devices that are none, so that what asks for an RDMA device can be
// scheduled and refused.  It ends when its standard input does.
//
//	device-plugin RESOURCE COUNT
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	// What a container is given, to be seen in it.
	variable   = "VIS_RECEIVE_DEVICES"
	deviceFile = "/dev/infiniband/uverbs0"
	behindFile = "/dev/null"

	lookEvery = 200 * time.Millisecond
)

type plugin struct {
	api.UnimplementedDevicePluginServer
	devices []*api.Device
}

func main() {
	if len(os.Args) != 3 {
		fail("usage: device-plugin RESOURCE COUNT")
	}
	resource := os.Args[1]
	count, problem := strconv.Atoi(os.Args[2])
	if problem != nil {
		fail("device-plugin: COUNT is not a number: " + os.Args[2])
	}
	offered := &plugin{}
	for i := range count {
		offered.devices = append(offered.devices, &api.Device{ID: fmt.Sprintf("device-%d", i), Health: api.Healthy})
	}
	go endWithInput()
	for {
		known := kubelet()
		if known == nil {
			time.Sleep(lookEvery)
			continue
		}
		if problem := offered.serve(resource, known); problem != nil {
			fmt.Fprintln(os.Stderr, problem)
			time.Sleep(lookEvery)
		}
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}

func endWithInput() {
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// kubelet returns what the kubelet's socket is now, nil if there is none.
func kubelet() os.FileInfo {
	found, problem := os.Stat(api.KubeletSocket)
	if problem != nil {
		return nil
	}
	return found
}

// serve offers the devices until the kubelet's socket is another one: a kubelet that starts anew
// removes all sockets in the folder, and has to be told again.
func (offered *plugin) serve(resource string, known os.FileInfo) error {
	name := strings.ReplaceAll(resource, "/", "-") + ".sock"
	path := filepath.Join(api.DevicePluginPath, name)
	os.Remove(path)
	listener, problem := net.Listen("unix", path)
	if problem != nil {
		return problem
	}
	server := grpc.NewServer()
	defer server.Stop()
	api.RegisterDevicePluginServer(server, offered)
	go server.Serve(listener)
	if problem := register(resource, name); problem != nil {
		return problem
	}
	fmt.Println("registered", resource)
	for {
		time.Sleep(lookEvery)
		if now := kubelet(); now == nil || !os.SameFile(now, known) || !now.ModTime().Equal(known.ModTime()) {
			return nil
		}
	}
}

func register(resource, name string) error {
	connection, problem := grpc.NewClient(
		"unix://"+api.KubeletSocket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// The kubelet refuses the socket's path, which is the default.
		grpc.WithAuthority("localhost"),
	)
	if problem != nil {
		return problem
	}
	defer connection.Close()
	limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, problem = api.NewRegistrationClient(connection).Register(limit, &api.RegisterRequest{
		Version:      api.Version,
		Endpoint:     name,
		ResourceName: resource,
	})
	return problem
}

func (offered *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch tells of the devices once; they stay as they are.
func (offered *plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	if problem := stream.Send(&api.ListAndWatchResponse{Devices: offered.devices}); problem != nil {
		return problem
	}
	<-stream.Context().Done()
	return nil
}

func (offered *plugin) Allocate(_ context.Context, asked *api.AllocateRequest) (*api.AllocateResponse, error) {
	given := &api.AllocateResponse{}
	for _, one := range asked.ContainerRequests {
		given.ContainerResponses = append(given.ContainerResponses, &api.ContainerAllocateResponse{
			Envs: map[string]string{variable: strings.Join(one.DevicesIds, ",")},
			Devices: []*api.DeviceSpec{
				{ContainerPath: deviceFile, HostPath: behindFile, Permissions: "rw"},
			},
		})
	}
	return given, nil
}
