# What there is to do here. build, test and bench are commands that work as well without
# make; the rest is for who installs and releases.

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR    ?=
DIST       ?= dist
GO         ?= go
ENGINE     ?= docker

.DELETE_ON_ERROR:
.PHONY: build test bench completions man install uninstall release image

build:
	go build -o switchyard ./cmd/switchyard

test:
	go test ./...

# Runs Switchyard beside nats-server and writes the tables of docs/benchmarks.md. It wants
# the machine for itself for about a quarter of an hour.
bench:
	go -C cmd/yardbench run . compare

# Static, so that it runs anywhere, and without the paths of this machine.
GOBUILD = CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w'

SOURCES := $(shell find cmd pdu plugins policy proxy go.mod go.sum -type f -not -path '*/node_modules/*')

$(DIST)/switchyard: $(SOURCES) | $(DIST)/.gitignore
	$(GOBUILD) -o $@ ./cmd/switchyard

# What is made leaves the checkout as clean as it was: the program's version says
# whether it was.
$(DIST)/.gitignore:
	mkdir -p $(DIST)
	echo '*' > $@

# Made once for each program, so that 'sudo make install' after them makes nothing here
# that only root could make again.
completions: $(DIST)/completions/switchyard.fish
man: $(DIST)/man/switchyard.1

$(DIST)/completions/switchyard.fish: $(DIST)/switchyard
	mkdir -p $(@D)
	$(DIST)/switchyard completion bash > $(@D)/switchyard
	$(DIST)/switchyard completion zsh > $(@D)/_switchyard
	$(DIST)/switchyard completion fish > $@

$(DIST)/man/switchyard.1: $(DIST)/switchyard
	rm -rf $(@D)
	$(DIST)/switchyard manual $(@D)

# install keeps a configuration that is there. DESTDIR is for packages: it is put before
# every path, and is in none of the files.
BIN        = $(DESTDIR)$(PREFIX)/bin
MAN        = $(DESTDIR)$(PREFIX)/share/man/man1
BASH       = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSH        = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
FISH       = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
UNITS      = $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERS   = $(DESTDIR)$(PREFIX)/lib/sysusers.d
CONFIG     = $(DESTDIR)$(SYSCONFDIR)/switchyard

install: completions man
	install -d $(BIN) $(MAN) $(BASH) $(ZSH) $(FISH) $(UNITS) $(SYSUSERS) $(CONFIG)
	install -m 755 $(DIST)/switchyard $(BIN)
	install -m 644 $(DIST)/man/*.1 $(MAN)
	install -m 644 $(DIST)/completions/switchyard $(BASH)
	install -m 644 $(DIST)/completions/_switchyard $(ZSH)
	install -m 644 $(DIST)/completions/switchyard.fish $(FISH)
	install -m 644 deploy/systemd/switchyard.sysusers $(SYSUSERS)/switchyard.conf
	sed -e 's|/usr/local/bin|$(PREFIX)/bin|' -e 's|/etc/switchyard|$(SYSCONFDIR)/switchyard|' \
		deploy/systemd/switchyard.service > $(UNITS)/switchyard.service
	chmod 644 $(UNITS)/switchyard.service
	test -e $(CONFIG)/config.toml || install -m 644 config.toml $(CONFIG)

uninstall:
	rm -f $(BIN)/switchyard $(MAN)/switchyard.1 $(MAN)/switchyard-*.1 \
		$(BASH)/switchyard $(ZSH)/_switchyard $(FISH)/switchyard.fish \
		$(UNITS)/switchyard.service $(SYSUSERS)/switchyard.conf

# release builds the same bytes wherever the same commit is built with the same version
# of Go; the commit and its tag are what 'switchyard version' prints. Not from a checkout
# with changes: nobody could build it again.
RELEASE = $(DIST)/release

release: | $(DIST)/.gitignore
	@test -z "$$(git status --porcelain)" || { git status --short; echo 'release: commit these changes, or put them away: a release is built from a commit' >&2; exit 1; }
	rm -rf $(RELEASE)
	for arch in amd64 arm64; do \
		GOFLAGS= GOEXPERIMENT= GOOS=linux GOARCH=$$arch GOAMD64=v1 GOARM64=v8.0 \
			$(GOBUILD) -mod=readonly -buildvcs=true -o $(RELEASE)/switchyard-linux-$$arch ./cmd/switchyard || exit 1; \
	done
	cd $(RELEASE) && sha256sum switchyard-linux-* > SHA256SUMS

# image puts the release's program into an image of its own; ENGINE is docker,
# podman or buildah.
image: release
	rm -rf $(DIST)/image
	mkdir -p $(DIST)/image/state
	cp $(RELEASE)/switchyard-linux-* deploy/container/Containerfile deploy/container/config.toml $(DIST)/image
	$(ENGINE) build --file $(DIST)/image/Containerfile --tag switchyard $(DIST)/image
