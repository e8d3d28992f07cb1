// SPDX-License-Identifier: Apache-2.0
// render CHART RELEASE < values.json: the chart's templates by the libraries that Helm renders with, Go's
// text/template and Sprig, and what of Helm's own the chart uses, .Files.Get.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/Masterminds/sprig"
)

type files string

func (f files) Get(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(string(f), name))
	return string(text), err
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	var values map[string]interface{}
	fail(json.NewDecoder(os.Stdin).Decode(&values))
	data := map[string]interface{}{
		"Values":  values,
		"Files":   files(os.Args[1]),
		"Release": map[string]interface{}{"Name": os.Args[2]},
	}
	paths, err := filepath.Glob(os.Args[1] + "/templates/*.yaml")
	fail(err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		fail(err)
		parsed, err := template.New(path).Funcs(sprig.TxtFuncMap()).Option("missingkey=error").Parse(string(text))
		fail(err)
		fmt.Println("---")
		fail(parsed.Execute(os.Stdout, data))
	}
}
