// Chromium starts no worker from a file: on a page that was opened from the disk the search runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const scope = frame.contentWindow
      const waiting = []
      this.deliver = (data) => waiting.push(data)
      scope.postMessage = (data) => {
        const message = new MessageEvent("message", { data })
        this.dispatchEvent(message)
        this.onmessage?.(message)
      }
      scope.importScripts = (...urls) => urls.reduce((before, one) => before.then(() => load(scope, one)), Promise.resolve())
      load(scope, url).then(() => {
        this.deliver = (data) => scope.dispatchEvent(new scope.MessageEvent("message", { data }))
        waiting.forEach(this.deliver)
      })
    }

    postMessage(data) {
      this.deliver(data)
    }

    terminate() {}
  }

  function load(scope, url) {
    return new Promise((done, failed) => {
      const script = scope.document.createElement("script")
      script.src = new URL(url, location.href)
      script.onload = done
      script.onerror = failed
      scope.document.body.append(script)
    })
  }
}
